"""v1's words on the wire: between protobuf or its JSON form, and the vocabulary of `quickpulse.requests`.

`table.py` has one row for each request; every transport, on either side, is driven by it.
"""
