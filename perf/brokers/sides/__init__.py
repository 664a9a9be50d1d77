"""The client code of each side, as the users of its library write it. A function is one process of one row.

A module's `connected` is entered with the server's port, and gives what its functions get. A function calls
`work.begin` when it has set up, works, and calls `work.finish` when all is confirmed or acked. What comes after is a
look at what is still in the queue.

The two clients of ours have twins here: how each is written is what is measured.
"""
