"""The documentation is held to the code: tables, commands, links, snippets, the diagram."""
