"""How Alembic runs for this app, online and offline.

Shorter than the file that ``flask db init`` makes: it leaves logging alone, because the app
has set that up by the time this runs.
"""

from alembic import context
from flask import current_app

migrate = current_app.extensions["migrate"]
database = migrate.db


def run_offline() -> None:
    """Print the SQL."""
    context.configure(
        url=database.engine.url.render_as_string(hide_password=False),
        target_metadata=database.metadata,
        literal_binds=True,
        **migrate.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the SQL in one transaction."""
    # What the option does for SQLite: guestbook.database.
    with database.engine.connect().execution_options(migrating=True) as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            # All or nothing: a migration that fails leaves the tables as they were.
            transactional_ddl=True,
            **migrate.configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
