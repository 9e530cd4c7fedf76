"""An MCP server of your own: its tools, and the API behind them."""
