"""PostgreSQL's types: public Python classes in the modules named as psycopg 3's, codecs in ``_<family>``."""
