"""The reports of a run: Markdown and charts."""
