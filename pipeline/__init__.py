"""shidian."""
