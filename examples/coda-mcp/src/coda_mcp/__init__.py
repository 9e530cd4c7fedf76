"""An MCP server of your own: its tools, and the API behind them."""

__version__ = "0.1.0"
