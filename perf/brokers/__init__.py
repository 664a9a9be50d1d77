"""`python -m perf compare brokers [ROW...]`: v1 beside Redis, NATS and beanstalkd, each with its own Python client.

One producer process and one consumer process a measurement, every server started anew, sides in turn, medians.

Where things are: `rows` is the table of what is measured and of the bars; `sides/` has the client code of each server,
as its users write it; `work` is what that code is given, and `worker` the process it runs in; `servers` says what is
started; `measure` starts server and workers; `figures` does the arithmetic; `report` and `chart` tell it; `options`
reads the command line; `command` is the order of it all.
"""
