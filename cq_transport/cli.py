"""``celery cq``: loaded by every ``celery`` command line before it connects, which is how all of
them know ``channels://``.
"""

from __future__ import annotations

import click

from cq_transport.aliases import register

register()


@click.group()
def cq() -> None:
    """The channel layer that serves as broker."""


@cq.command()
@click.pass_context
def layer(context: click.Context) -> None:
    """Show the layer, and how many messages wait in each queue."""
    app = context.obj.app
    with app.connection_for_read() as connection:
        transport = connection.transport
        if transport.driver_name != "channels":
            raise click.ClickException(
                f"the broker is {connection.as_uri()}, which is no channel layer"
            )
        connection.connect()
        click.echo(f"{connection.as_uri()}: {transport.layer.description}")
        with connection.channel() as channel:
            for queue in app.amqp.queues:
                click.echo(f"{queue}: {channel.layer.size(queue)}")
