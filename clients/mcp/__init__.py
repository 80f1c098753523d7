"""`salmonn-mcp`: ears for programs that speak the Model Context Protocol.

A client like the others: it captures, a server hears.  `mcp` is imported only in
`clients.mcp.tools`; nothing else here knows that protocol.
"""
