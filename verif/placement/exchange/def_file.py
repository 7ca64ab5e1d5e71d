"""DEF of a placed design, and a LEF of its cells' outlines."""

from collections.abc import Iterable, Iterator

from adq.verif.liberty.library import Library
from adq.verif.placement.errors import PlacementError
from adq.verif.placement.geometry import Geometry
from adq.verif.placement.placer import Placement
from adq.verif.placement.wires import clock_nets
from adq.verif.synthesis.netlist import Net, Netlist

__all__ = ["database_units", "to_def", "to_lef"]

UNITS = (100, 200, 400, 800, 1000, 2000, 4000, 8000, 10000, 20000)
"""Database units a micron that DEF allows."""

PORT = 0.05
"""Half the side of a port's square, um."""


def database_units(geometry: Geometry) -> int:
    """Return the fewest units a micron in which sites and rows are whole numbers.

    Raises
    ------
    PlacementError
        If there are none.
    """
    for units in UNITS:
        lengths = geometry.site_width * units, geometry.row_height * units, PORT * units
        if all(abs(length - round(length)) < 1e-6 for length in lengths):
            return units
    raise PlacementError(
        f"{geometry.library}: site {geometry.site_width:g} um and row height "
        f"{geometry.row_height:g} um are no whole numbers of {UNITS[-1]} units a micron: DEF has "
        "no finer ones"
    )


def to_def(netlist: Netlist, library: Library, placement: Placement) -> str:
    """Return the DEF of a placed netlist: rows, tracks, components, pins and nets."""
    return "\n".join([*_lines(netlist, library, placement), ""])


def _lines(netlist: Netlist, library: Library, placement: Placement) -> Iterator[str]:
    plan = placement.floorplan
    geometry = plan.geometry
    units = database_units(geometry)

    def at(x: float, y: float) -> str:
        return f"( {round(x * units)} {round(y * units)} )"

    yield from ("VERSION 5.8 ;", 'DIVIDERCHAR "/" ;', 'BUSBITCHARS "[]" ;')
    yield f"DESIGN {netlist.name} ;"
    yield f"UNITS DISTANCE MICRONS {units} ;"
    yield f"DIEAREA ( 0 0 ) {at(plan.width, plan.height)} ;"
    step = round(geometry.site_width * units)
    for row in range(plan.rows):
        y = round(row * geometry.row_height * units)
        side = "FS" if row % 2 else "N"
        yield f"ROW row_{row} {geometry.site} 0 {y} {side} DO {plan.sites} BY 1 STEP {step} 0 ;"
    for tracks in geometry.tracks:
        across, length = (
            ("Y", plan.height) if tracks.direction == "horizontal" else ("X", plan.width)
        )
        pitch = round(tracks.pitch * units)
        count = int(length / tracks.pitch)
        yield f"TRACKS {across} {pitch // 2} DO {count} STEP {pitch} LAYER {tracks.layer} ;"
    yield f"COMPONENTS {len(netlist.instances) + len(plan.macros)} ;"
    for number, instance in enumerate(netlist.instances):
        where = at(float(placement.x[number]), float(placement.y[number]))
        yield (
            f"- {instance.name} {instance.cell} + PLACED {where} {placement.orientation(number)} ;"
        )
    for macro in plan.macros:
        yield f"- {macro.name} {macro.cell} + FIXED {at(macro.x, macro.y)} N ;"
    yield "END COMPONENTS"
    words = netlist.net_words()
    yield f"PINS {sum(len(bits) for _, bits in netlist.ports.values())} ;"
    half = round(PORT * units)
    for name, (direction, bits) in netlist.ports.items():
        for bit, net in enumerate(bits):
            word = f"{name}[{bit}]" if len(bits) > 1 else name
            # A port on a constant has a net of its own name, which is on nothing else.
            on = words[net] if isinstance(net, int) else word
            yield (
                f"- {word} + NET {on} + DIRECTION {direction.upper()} + USE SIGNAL "
                f"+ LAYER {geometry.signal.layer} ( -{half} -{half} ) ( {half} {half} ) "
                f"+ PLACED {at(*plan.ports[name, bit])} N ;"
            )
    yield "END PINS"
    connections = _connections(netlist, placement)
    clocks = clock_nets(netlist, library)
    yield f"NETS {len(connections)} ;"
    for net, ends in connections.items():
        use = "CLOCK" if net in clocks else "SIGNAL"
        yield f"- {words[net]} {' '.join(ends)} + USE {use} ;"
    yield "END NETS"
    yield "END DESIGN"


def _connections(netlist: Netlist, placement: Placement) -> dict[Net, list[str]]:
    """Ends of each net, in DEF's words."""
    found: dict[Net, list[str]] = {}
    for name, (_, bits) in netlist.ports.items():
        for bit, net in enumerate(bits):
            if isinstance(net, int):
                word = f"{name}[{bit}]" if len(bits) > 1 else name
                found.setdefault(net, []).append(f"( PIN {word} )")
    for instance in netlist.instances:
        for pin, net in instance.pins.items():
            if isinstance(net, int):
                found.setdefault(net, []).append(f"( {instance.name} {pin} )")
    for macro in placement.floorplan.macros:
        for name, end in macro.pins.items():
            found.setdefault(end.net, []).append(f"( {macro.name} {name} )")
    return found


def to_lef(netlist: Netlist, library: Library, placement: Placement) -> str:
    """Return a LEF of the outlines of a design's cells, for viewers: no metal, pins in the place
    that wires were measured to.
    """
    plan = placement.floorplan
    geometry = plan.geometry
    layer = geometry.signal.layer
    lines = [
        "VERSION 5.8 ;",
        'BUSBITCHARS "[]" ;',
        'DIVIDERCHAR "/" ;',
        "UNITS",
        f"  DATABASE MICRONS {database_units(geometry)} ;",
        "END UNITS",
        f"LAYER {layer}",
        "  TYPE ROUTING ;",
        f"  DIRECTION HORIZONTAL ;\n  PITCH {2 * PORT:g} ;\n  WIDTH {PORT:g} ;",
        f"END {layer}",
        f"SITE {geometry.site}",
        f"  CLASS CORE ;\n  SIZE {geometry.site_width:g} BY {geometry.row_height:g} ;",
        f"END {geometry.site}",
    ]

    def macro(
        name: str,
        kind: str,
        width: float,
        height: float,
        pins: Iterable[tuple[str, str, tuple[float, float]]],
    ) -> None:
        lines.append(f"MACRO {name}\n  CLASS {kind} ;\n  ORIGIN 0 0 ;")
        lines.append(f"  SIZE {width:.6g} BY {height:.6g} ;\n  SYMMETRY X Y ;")
        if kind == "CORE":
            lines.append(f"  SITE {geometry.site} ;")
        for pin, direction, (x, y) in pins:
            lines.append(
                f"  PIN {pin}\n    DIRECTION {direction} ;\n    PORT\n      LAYER {layer} ;"
            )
            box = f"{x - PORT:.6g} {y - PORT:.6g} {x + PORT:.6g} {y + PORT:.6g}"
            lines.append(f"      RECT {box} ;\n    END\n  END {pin}")
        lines.append(f"END {name}")

    for cell in sorted({instance.cell for instance in netlist.instances}):
        pins = [
            (pin.name, pin.direction.upper(), geometry.pin_offset(cell, pin.name))
            for pin in library.cells[cell].pins.values()
        ]
        macro(cell, "CORE", geometry.sites[cell] * geometry.site_width, geometry.row_height, pins)
    for block in {each.cell: each for each in plan.macros}.values():
        ends = [(name, pin.direction.upper(), (pin.x, pin.y)) for name, pin in block.pins.items()]
        macro(block.cell, "BLOCK", block.width, block.height, ends)
    return "\n".join([*lines, "END LIBRARY", ""])
