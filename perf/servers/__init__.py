"""The servers that `compare` starts beside ours: the bare libraries with a handler of a few lines, and an echo."""
