"""What a server or the flask command imports: ``wsgi:app``."""

from guestbook import create_app

app = create_app()
