"""Command line application: registers the commands and reports errors in one line."""

import contextlib
import functools
import importlib
import importlib.util
import keyword
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import adq
from adq.escaping import visible
from adq.shipped import install_command

COMMANDS = (
    "doctor",
    "data",
    "train",
    "compare",
    "evaluate",
    "figures",
    "export",
    "import",
    "verify",
    "onnx",
    "convert",
    "map",
    "plan",
    "sim",
    "predict",
    "activity",
    "energy",
    "explore",
    "cost",
    "verilog",
    "synth",
    "characterize",
    "place",
)
"""Commands for users. Each is a module of ``adq.cli.commands``."""

DEVELOPERS_COMMANDS = (
    "regress",
    "nightly",
    "replay",
    "coverage",
    "testplan",
    "formal",
    "mutate",
    "mutate-python",
    "inject",
    "report",
    "results",
    "energy-fit",
    "gate-level",
    "glitches",
    "cross-check",
    "partial-sums",
    "platform-blocks",
    "placed-energy",
    "equivalence",
    "docs",
    "bench-train",
    "bench-golden",
    "bench-load",
    "named-networks",
    "exchange",
    "bench-rtl",
    "engine",
    "waveform",
    "chain",
)
"""Commands of ``adq dev``. Each is a module of ``adq.cli.dev``, which is not in the wheel."""

OUTPUTS = {
    "export": "directory",
    "import_": "directory",
    "onnx": "directory",
    "results": "folder",
}
"""Option or argument that names what a command writes, where it is not ``out``."""

ALONE = frozenset(
    {
        "activity",
        "characterize",
        "convert",
        "coverage",
        "engine",
        "export",
        "formal",
        "gate_level",
        "import_",
        "inject",
        "mutate",
        "named_networks",
        "mutate_python",
        "nightly",
        "onnx",
        "place",
        "platform_blocks",
        "regress",
        "replay",
        "sim",
        "synth",
        "train",
        "verilog",
    }
)
"""Commands that write many files over a time: two of them never share a place."""

NAMED_ERRORS = frozenset(
    {
        "adq.comparison.outcome.ComparisonError",
        "adq.runs.checkpoint.CheckpointError",
        "adq.fields.ConfigError",
        "adq.cost.sources.CostError",
        "adq.explore.space.ExploreError",
        "adq.data.hub.DataError",
        "adq.signoff.documents.DocumentError",
        "adq.energy.coefficients.EnergyError",
        "adq.energy.cross_check.CrossCheckError",
        "adq.runs.density_figures.FigureError",
        "adq.models.architectures.ModelError",
        "adq.signoff.python_mutants.PythonMutantError",
        "adq.quantization.integers.ExportError",
        "adq.quantization.reading.tracing.PrepareError",
        "adq.runs.results.ResultError",
        "adq.runs.run.RunError",
        "adq.shipped.ShippedFileError",
        "adq.training.policies.policy.PolicyError",
        "adq.training.processes.TrainingError",
        "adq.golden.mapping.mapper.MappingError",
        "adq.rtl.platform.descriptors.DescriptorError",
        "adq.golden.platform.planning.steps.PlanError",
        "adq.golden.platform.program.ProgramError",
        "adq.golden.samples.ArtifactError",
        "adq.golden.formats.NetworkError",
        "adq.golden.files.locks.LockError",
        "adq.golden.files.reading.FileError",
        "adq.golden.exchange.opening.ExchangeError",
        "adq.golden.onnx.check.OnnxError",
        "adq.rtl.parameters.ParameterError",
        "adq.verif.parallel.worker.ParallelError",
        "adq.verif.signoff.formal.proof.FormalError",
        "adq.verif.gate_level.cell_models.CellModelError",
        "adq.verif.gate_level.switching.SwitchingError",
        "adq.verif.signoff.mutation.mutants.MutantError",
        "adq.verif.simulation.switching.saif.SaifError",
        "adq.verif.simulation.verilator.runner.SimulationError",
        "adq.verif.liberty.syntax.LibertyError",
        "adq.verif.placement.errors.PlacementError",
        "adq.verif.synthesis.mapping.SynthesisError",
        "adq.verif.liberty.timing_tables.TimingError",
        "adq.verif.signoff.plan.testplan.TestPlanError",
    }
)
"""Errors whose message is shown to the user. They are listed by name because importing their
modules takes seconds."""

LONGEST_MESSAGE = 1000
"""Characters of an error message that are shown at most."""

EXTRAS = {
    "brevitas": "bench",
    "cocotbext": "sim",
    "cocotbext.axi": "sim",
    "coloquinte": "layout",
    "distributed": "cluster",
    "huggingface_hub": "train",
    "lightning_fabric": "train",
    "matplotlib": "figures",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "optuna": "explore",
    "PIL": "train",
    "pyarrow": "train",
    "qonnx": "onnx",
    "scipy": "energy",
    "sklearn": "train",
    "torch": "train",
    "torch_pruning": "train",
}
"""Optional packages, and the extra of this package that installs each."""


def command_names() -> list[str]:
    """Return the names of all commands, those for developers with ``dev`` in front."""
    return [*COMMANDS, "dev", *(f"dev {name}" for name in DEVELOPERS_COMMANDS)]


def explain(error: Exception) -> str | None:
    """Return the message for the user about an error, or None if the error is a defect."""
    if any(
        f"{kind.__module__}.{kind.__qualname__}" in NAMED_ERRORS for kind in type(error).__mro__
    ):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return (
            f"{error.name} is not installed, which this command needs: "
            f"{install_command(EXTRAS[error.name])}"
        )
    if isinstance(error, MemoryError):
        return (
            f"not enough memory{f' ({error})' if str(error) else ''}: give fewer images, or a "
            "smaller network"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}: check the path, its permissions and free space"
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.strerror}: check free space and permissions"
    return None


def _output(
    command: str, options: Mapping[str, object]
) -> contextlib.AbstractContextManager[object]:
    """Claim the place that a command writes to, before it does anything else."""
    place = options.get(OUTPUTS.get(command, "out"))
    if not isinstance(place, Path) or os.environ.get("RANK", "0") != "0":
        return contextlib.nullcontext()
    from adq.files.outputs import claimed

    return claimed(place, alone=command in ALONE)


def _for_people(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that user errors become one line on stderr and an exit status."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        # SIGTERM raises KeyboardInterrupt, so that child simulators are also stopped.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with _output(command.__name__, kwargs):
                command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            line = explain(error)
            if line is None:
                raise
            typer.echo(f"error: {_shortened(visible(' '.join(line.split())))}", err=True)
            raise typer.Exit(2) from None

    return run


def _shortened(line: str) -> str:
    """Cut what stands between the beginning and the end of a message with a long value in it."""
    if len(line) <= LONGEST_MESSAGE:
        return line
    return f"{line[: LONGEST_MESSAGE * 3 // 4]} ... {line[-(LONGEST_MESSAGE // 4) :]}"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"adq {adq.__version__}")
        raise typer.Exit


main = typer.Typer(
    help=(
        "Train networks with activation-density quantization, and run them on the RTL of a "
        "bit-serial processing-in-memory tile."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@main.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def _register(app: typer.Typer, package: str, names: tuple[str, ...]) -> None:
    """Add commands to a group.

    The command ``a-b`` is the function ``a_b`` in the module ``a_b`` of ``package``; ``import``, a
    keyword of Python, is ``import_``.
    """
    for name in names:
        function = name.replace("-", "_") + "_" * keyword.iskeyword(name)
        module = importlib.import_module(f"{package}.{function}")
        app.command(name)(_for_people(getattr(module, function)))


_register(main, "adq.cli.commands", COMMANDS)
if importlib.util.find_spec("adq.cli.dev"):
    _developers = typer.Typer(
        help="Verify, measure and document the project (for developers).", no_args_is_help=True
    )
    _register(_developers, "adq.cli.dev", DEVELOPERS_COMMANDS)
    main.add_typer(_developers, name="dev")
