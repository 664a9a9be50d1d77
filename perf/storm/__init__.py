"""A storm over a real server: unique messages, connections killed at random moments, and an exact account of all.

`python -m perf.storm --mode MODE` starts a server, publishes and consumes at once over several connections with
hundreds of messages in flight each, kills some of them all the time, and opens others in their place. At the end
every message that was acknowledged must have come out once, or be among those that the server counts as undelivered.

Where things are: `numbered` makes messages and recognizes them, `account` keeps the books, `links` and `calls` are
the connections, `ends` is how they are killed, `loop` keeps them busy, `server` starts ours and reads its metrics,
`verdict` says what is wrong.
"""
