"""Records what a real server sends for values of every built-in type: the seeds of the codecs' targets.

    python fuzz/record_values.py        starts a private PostgreSQL and rewrites fuzz/corpus/values.txt

A line is ``type<TAB>text, as hex<TAB>binary, as hex``. Types that howdah has no codec for yet are recorded as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VALUES = ROOT / "fuzz" / "corpus" / "values.txt"

SCALARS = {
    "bool": ["t", "f"],
    "int2": ["0", "1", "-32768", "32767"],
    "int4": ["0", "42", "-2147483648", "2147483647"],
    "int8": ["0", "-1", "-9223372036854775808", "9223372036854775807"],
    "oid": ["0", "4294967295"],
    "float4": ["0", "-0", "1.5", "3.4028235e38", "NaN", "-Infinity"],
    "float8": ["0", "-0", "0.1", "1e-323", "1.7976931348623157e308", "NaN", "Infinity"],
    "numeric": ["0", "0.000", "1.50", "-12345.678900", "1e20", "1e-20", "9999.9999", "NaN", "-Infinity", "1" * 40],
    "money": ["12.34", "-1"],
    "text": ["", "a", "Grüße, \u4e16\u754c \U0001f418", "a\\\"{},b\n"],
    "varchar": ["x y"],
    "bpchar": ["q"],
    "name": ["pg_class"],
    '"char"': ["x", "\u00e9"],
    "bytea": ["\\x", "\\x00ff10", "\\x5c27"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "date": ["2000-01-01", "1999-12-31", "0001-01-01", "9999-12-31", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"],
    "time": ["00:00", "24:00:00", "23:59:59.999999"],
    "timetz": ["00:00+00", "24:00:00-15:59", "23:59:59.999999+05:30:15"],
    "timestamp": ["2000-01-01 00:00:00", "1999-12-31 23:59:59.999999", "infinity", "-infinity", "0044-03-15 BC", "294276-12-31"],
    "timestamptz": ["2000-01-01 00:00:00+00", "2024-02-29 12:34:56.789+05:30", "infinity", "0044-03-15 00:00:00+00 BC"],
    "interval": ["0", "1 year 2 mons -3 days +04:05:06.789", "-1 us", "178000000 years", "infinity"],
    "json": [
        "null", "[1, 2.5, \"x\"]", "12345678901234567890", "{\"a\": {\"b\": [true, false, null]}}",
        "\"\\u00e9\\ud83d\\ude00\"",
    ],
    "jsonb": ["null", "[]", "{\"key\": [1, -2, 3.25e10], \"other\": \"text\"}"],
    "jsonpath": ["$.a[*] ? (@ > 1)"],
    "inet": ["1.2.3.4", "10.0.0.0/8", "::1", "2001:db8::/32"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "bit": ["1"],
    "varbit": ["", "10110", "1111111100000000"],
    "point": ["(1,2)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(1,2),(3,4)]"],
    "box": ["(3,4),(1,2)"],
    "path": ["((1,2),(3,4))", "[(1,2)]"],
    "polygon": ["((1,2),(3,4),(5,6))"],
    "circle": ["<(1,2),3>"],
    "tsvector": ["'a':1A,2 'b':3"],
    "tsquery": ["'a' & !'b' | 'c':*"],
    "int2vector": ["1 2 3"],
    "oidvector": ["1 2 3"],
    "tid": ["(1,2)"],
    "xid": ["7"],
    "cid": ["7"],
    "xid8": ["77"],
    "pg_lsn": ["16/B374D848"],
    "regclass": ["pg_class"],
    "regtype": ["integer"],
    "regproc": ["now"],
    "int4range": ["empty", "[1,5)", "(,)", "[7,)"],
    "int8range": ["[1,5)"],
    "numrange": ["(1.5,2.5]", "(,NaN]"],
    "daterange": ["[2000-01-01,2000-02-01)", "(-infinity,)"],
    "tsrange": ["[2000-01-01 00:00,infinity]"],
    "tstzrange": ["[2000-01-01 00:00+00,)"],
    "int4multirange": ["{}", "{[1,2),[5,9)}"],
    "nummultirange": ["{[1.5,2.5),(7,)}"],
    "tstzmultirange": ["{(,2000-01-01 00:00+00)}"],
}  # fmt: skip
ARRAYS = ["{}", "{NULL}", "{%s,NULL}", "[2:3]={%s,%s}", "{{%s},{%s}}", "[-1:0][5:6]={{%s,%s},{NULL,%s}}"]
# element types whose text needs no quotes inside an array
ARRAY_ELEMENTS = {
    "bool": "t", "int2": "7", "int4": "-7", "int8": "7", "oid": "7", "float4": "1.5", "float8": "1.5", "numeric": "1.50",
    "text": "ab", "varchar": "ab", "bytea": '"\\\\x00ff"', "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "date": "2000-01-01", "time": "01:02:03", "timestamp": '"2000-01-01 00:00:00"', "timestamptz": '"2000-01-01 00:00:00+00"',
    "interval": '"1 day"', "json": "[]", "jsonb": '"{\\"a\\": 1}"', "inet": "1.2.3.4", "box": "(3,4),(1,2)",
    "int4range": '"[1,5)"', "int4multirange": '"{[1,5)}"',
}  # fmt: skip
RECORDS = ["row()", "row(1, 'a', null, 2.5)", "row(row(1, 'x y'), array[1,2], '\"')"]


def main() -> int:
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    import howdah
    from howdah.embedded import Server

    samples = [(name, value) for name, values in SCALARS.items() for value in values]
    for name, value in ARRAY_ELEMENTS.items():
        forms = [form.replace(",", ";") for form in ARRAYS] if name == "box" else ARRAYS
        samples += [(name + "[]", form.replace("%s", value)) for form in forms]
    lines = []
    with Server() as server, howdah.connect(server.dsn, autocommit=True) as conn:
        cur = conn.cursor()
        for name, text in samples:
            send = "array_send" if name.endswith("[]") else None
            if send is None:
                cur.execute("SELECT typsend::text FROM pg_type WHERE oid = %s::text::regtype", (name,))
                send = cur.fetchone()[0]
            literal = "'" + text.replace("'", "''") + "'"
            shown = f"({literal}::{name})::text" if name != "bpchar" else f"{literal}::text"
            if send in ("-", None):
                cur.execute(f"SELECT {shown}, ''::bytea")
            else:
                cur.execute(f"SELECT {shown}, {send}({literal}::{name})")
            out, binary = cur.fetchone()
            lines.append(f"{name}\t{out.encode().hex()}\t{binary.hex()}")
        for record in RECORDS:
            cur.execute(f"SELECT ({record})::text, record_send({record})")
            out, binary = cur.fetchone()
            lines.append(f"record\t{out.encode().hex()}\t{binary.hex()}")
    VALUES.parent.mkdir(exist_ok=True)
    VALUES.write_text("\n".join(lines) + "\n", encoding="ascii")
    print(f"{len(lines)} values written to {VALUES.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
