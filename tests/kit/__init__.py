"""Tools of the tests: servers, fakes, proxies."""
