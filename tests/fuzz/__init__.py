"""Random bytes against the wire cores: small runs in the suite, `python -m tests.fuzz.http2` for millions of frames."""
