"""The command line: registers the commands, and says in one line what went wrong."""

import functools
import importlib
import signal
from collections.abc import Callable

import typer

COMMANDS = (
    "doctor",
    "data",
    "train",
    "results",
    "figures",
    "cost",
    "energy",
    "characterize",
    "energy-fit",
    "gate-level",
    "export",
    "evaluate",
    "verify",
    "onnx",
    "map",
    "sim",
    "activity",
    "regress",
    "nightly",
    "replay",
    "coverage",
    "formal",
    "mutate",
    "mutate-python",
    "inject",
    "report",
    "testplan",
    "bench-train",
    "bench-golden",
    "bench-rtl",
    "waveform",
)
"""Modules of ``adq.commands``, each with a function of its own name: with ``_`` for a hyphen."""

NAMED_ERRORS = frozenset(
    {
        "adq.checkpoint.CheckpointError",
        "adq.config.ConfigError",
        "adq.cost.sources.CostError",
        "adq.data.hub.DataError",
        "adq.energy.coefficients.EnergyError",
        "adq.figures.FigureError",
        "adq.models.ModelError",
        "adq.python_mutants.PythonMutantError",
        "adq.quantization.integers.ExportError",
        "adq.quantization.tracing.PrepareError",
        "adq.results.ResultError",
        "adq.run.RunError",
        "adq.training.processes.TrainingError",
        "golden.mapper.MappingError",
        "golden.samples.ArtifactError",
        "golden.formats.NetworkError",
        "golden.onnx_session.OnnxError",
        "rtl.parameters.ParameterError",
        "verif.formal.proof.FormalError",
        "verif.gate_level.cell_models.CellModelError",
        "verif.gate_level.switching.SwitchingError",
        "verif.mutation.mutants.MutantError",
        "verif.saif.SaifError",
        "verif.simulator.SimulationError",
        "verif.synthesis.liberty_syntax.LibertyError",
        "verif.synthesis.mapping.SynthesisError",
        "verif.synthesis.timing_tables.TimingError",
        "verif.testplan.TestPlanError",
    }
)
"""Errors whose message is for people. By name, since importing their modules takes seconds."""

EXTRAS = {
    "brevitas": "bench",
    "huggingface_hub": "train",
    "lightning_fabric": "train",
    "matplotlib": "figures",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "PIL": "train",
    "pyarrow": "train",
    "qonnx": "onnx",
    "scipy": "energy",
    "sklearn": "train",
    "torch": "train",
    "torch_pruning": "train",
}
"""Packages that are installed on demand, and the extra of this package that brings each."""


def explain(error: Exception) -> str | None:
    """Return the line that tells a person about an error, or None where it is a defect."""
    if any(
        f"{kind.__module__}.{kind.__qualname__}" in NAMED_ERRORS for kind in type(error).__mro__
    ):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return (
            f"{error.name} is not installed, which this command needs: "
            f"pip install -e '.[{EXTRAS[error.name]}]'"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}: check the path, its permissions and free space"
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.strerror}: check free space and permissions"
    return None


def _for_people(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command's errors into one line on stderr and an exit status."""

    @functools.wraps(command)
    def run(*args, **kwargs) -> None:
        # A simulator that was started ends with its parent, however that is ended.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            line = explain(error)
            if line is None:
                raise
            typer.echo(f"error: {' '.join(line.split())}", err=True)
            raise typer.Exit(2) from None

    return run


main = typer.Typer(
    help=(
        "Activation-density quantization in training, and the bit-serial "
        "processing-in-memory tile that runs it."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _name in COMMANDS:
    _function = _name.replace("-", "_")
    _module = importlib.import_module(f"adq.commands.{_function}")
    main.command(_name)(_for_people(getattr(_module, _function)))
