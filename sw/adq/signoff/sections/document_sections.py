"""Generated sections of README and docs: the lines of each, from data in the repository."""

from collections.abc import Callable, Mapping, Sequence

from adq.signoff.sections.energy_sections import ENERGY_SECTIONS
from adq.signoff.sections.hardware_sections import HARDWARE_SECTIONS
from adq.signoff.sections.measured_sections import MEASURED_SECTIONS
from adq.signoff.sections.network_sections import NETWORK_SECTIONS
from adq.signoff.sections.silicon_sections import SILICON_SECTIONS
from adq.signoff.sections.verification_sections import VERIFICATION_SECTIONS

__all__ = ["SECTIONS"]

SECTIONS: Mapping[str, Callable[[], Sequence[str]]] = {
    **ENERGY_SECTIONS,
    **HARDWARE_SECTIONS,
    **MEASURED_SECTIONS,
    **NETWORK_SECTIONS,
    **SILICON_SECTIONS,
    **VERIFICATION_SECTIONS,
}
"""Lines of each section, by the name in its marker."""
