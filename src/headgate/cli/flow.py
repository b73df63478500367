"""`headgate flow`: the flows that the API knows."""

from cyclopts import App

from headgate.cli.find import every
from headgate.cli.options import InSession, Output
from headgate.cli.output import Column, ago, print_json, print_table
from headgate.client.calls import flows
from headgate.schema.filters import FlowQuery, FlowSort

app = App(name="flow")


@app.command
def ls(*, output: Output = "table", session: InSession) -> None:
    """List all flows, the newest first.

    For example:
        headgate flow ls
    """
    with session.client() as client:
        found = every(client, flows.query, FlowQuery(sort=FlowSort.CREATED_DESC))
    if output == "json":
        print_json(found)
    else:
        rows = [(flow.name, str(flow.id), ago(flow.created, session.now())) for flow in found]
        print_table("Flows", [Column("Name"), Column("ID", keep=True), Column("Created")], rows)
