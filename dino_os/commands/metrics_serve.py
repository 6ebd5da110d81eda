"""`dino metrics serve`: an address where Prometheus asks."""

from __future__ import annotations

import sys

import click

from dino_os.commands import options, output
from dino_os.commands.workspace import pass_workspace
from dino_os.workspace import Workspace


@click.command(
    epilog=options.example(
        "dino metrics serve", "dino metrics serve --host 10.0.0.5 --key prometheus"
    )
)
@options.listening(9464)
@click.option("--key", metavar="NAME", help="The bearer token is this key of the vault.")
@click.option("--json", "as_json", is_flag=True, help="Say where it is as a JSON document.")
@pass_workspace
def serve(
    workspace: Workspace,
    host: str,
    port: int,
    names: tuple[str, ...],
    key: str | None,
    as_json: bool,
) -> None:
    """
    Answer /metrics in Prometheus' text format until interrupted.

    Beyond this machine --key is needed, and something in front that has TLS.
    """
    from dino_os.metrics.endpoint import Options  # noqa: PLC0415
    from dino_os.metrics.endpoint import serve as serve_metrics  # noqa: PLC0415

    def begun(url: str) -> None:
        output.answer({"url": url, "key": key}, f"the metrics are at {url}", as_json=as_json)
        sys.stdout.flush()

    asked = Options(host, port, names, workspace.key(key) if key else None)
    serve_metrics(workspace.metrics(), asked, begun)
