"""The client code of each side, as the users of its library write it. A function is one process of one row.

It sets up, calls `work.begin`, works, and calls `work.finish` when all is confirmed or acked. What comes after is a
look at what is still in the queue.
"""
