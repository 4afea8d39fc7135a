"""`pregao paper`: Binance's USD-M futures on this machine, for any client that can change its address."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The paper exchange.", no_args_is_help=True)


@app.callback()
def paper() -> None:
    """The paper exchange."""


@app.command()
def serve(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8001,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    tape: Annotated[str | None, typer.Option(help="Recorded trades to replay: FILE, or SYMBOL=FILE.")] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="How many times faster than recorded.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Play the tape again when it ends.")] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Hold the tape at its first price until POST /paper/play.")
    ] = False,
    align: Annotated[
        int,
        typer.Option(
            min=0, help="Begin so that candles of so many seconds here are whole candles of the tape."
        ),
    ] = 1,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="A simulated market; this is the default.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulated market and of the faults.")] = 7,
    still: Annotated[
        bool, typer.Option("--still", help="Prices stand until POST /paper/prices sets them.")
    ] = False,
    faults: Annotated[
        list[str] | None, typer.Option(help="A fault, e.g. 'lose:probability=0.05'; may be given again.")
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(help="KEY:SECRET:BALANCE, its signatures verified; may be given again."),
    ] = None,
    listing: Annotated[
        list[str] | None,
        typer.Option(
            help="A contract listed otherwise: SYMBOL:step=0.00001,notional_min=5; may be given again."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse keys nobody registered.")] = False,
    state: Annotated[Path | None, typer.Option(help="Folder where the books survive a restart.")] = None,
    weight_max: Annotated[
        int, typer.Option(min=1, help="Request weight an address may spend in a minute.")
    ] = 2_400,
) -> None:
    """Serve the paper exchange until Ctrl-C."""
    from pregao.edges.paper.serve import PaperSettings
    from pregao.edges.paper.serve import serve as serve_paper

    if tape is not None and (simulate or still):
        typer.echo("MARKET_AMBIGUOUS: give either --tape, or --simulate, or --still.", err=True)
        raise typer.Exit(2)
    settings = PaperSettings(
        host=host,
        port=port,
        tape=tape,
        speed=speed,
        loop=loop,
        hold=hold,
        align_seconds=align,
        simulate_seed=seed,
        still=still,
        faults=tuple(faults or ()),
        accounts=tuple(account or ()),
        listings=tuple(listing or ()),
        strict=strict,
        state_dir=state,
        weight_max=weight_max,
        log=typer.echo,
    )
    try:
        asyncio.run(serve_paper(settings))
    except (OSError, ValueError) as wrong:
        typer.echo(f"PAPER_NOT_STARTED: {wrong}", err=True)
        raise typer.Exit(1) from wrong
