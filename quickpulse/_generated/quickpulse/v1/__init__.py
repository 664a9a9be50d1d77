"""Output of `make proto`, checked in so that an install needs no compiler. Nothing here is written by hand."""
