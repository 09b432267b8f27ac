"""An app's data: its databases and files, their backups, and the way back."""
