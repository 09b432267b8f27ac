"""What an app in `apps` may say: the walk through its keys, and the formats of single values by concern."""
