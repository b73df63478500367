"""What Alembic runs for every command: it only words migrations; `store/migrating.py` runs them."""

from alembic import context

from headgate.store.tables import metadata

if (connection := context.config.attributes.get("connection")) is not None:
    context.configure(connection=connection, target_metadata=metadata, user_module_prefix="tables.")
else:
    attributes = context.config.attributes
    context.configure(
        dialect_name=attributes["dialect"],
        output_buffer=attributes["statements"],
        target_metadata=metadata,
        transactional_ddl=False,
    )

with context.begin_transaction():
    context.run_migrations()
