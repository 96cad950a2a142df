"""All that the stations of a delivery can touch, beside the hands that they share with `par`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..policies.delivery_rules import DeliveryRules
from ..schemas.consolidated import Consolidated
from ..schemas.delivery import Decided, Rehearsal
from ..schemas.final_consolidation import FinalConsolidation
from ..schemas.go_no_go import Staffing
from ..schemas.phase import PhaseSpec
from .phase_ports import PhasePorts
from .ports import Ports


@dataclass(frozen=True)
class DeliveryPorts:
    """The stations' hands.

    Args:
        ports: those of `par`; their `graph` is `delivery`.
        analysis: those of the phase before the work.
        testing: those of the phase after it.
        analysed: the phase before the work.
        tested: number of agents → the phase after the work.
        rules: what becomes of blocked work, and who is asked.
        analysis_inputs: run in, what its analysis looks at out.
        testing_inputs: run and rehearsal in, what its tests look at out.
        staff: run in, how many agents test its work out.
        rehearse: takes the work of a run back in a copy of the workspace, and says how that went.
        consolidated: digest in, synthesis out; kept with the run from then on, with the files of its phase. Raises KeyError.
        finalise: run in; writes the final consolidation with what is known now, keeps it with the run, and returns it with its decision.
    """

    ports: Ports
    analysis: PhasePorts
    testing: PhasePorts
    analysed: PhaseSpec
    tested: Mapping[int, PhaseSpec]
    rules: DeliveryRules
    analysis_inputs: Callable[[str], dict[str, Any]]
    testing_inputs: Callable[[str, Rehearsal], dict[str, Any]]
    staff: Callable[[str], Staffing]
    rehearse: Callable[[str], Rehearsal]
    consolidated: Callable[[str, str], Consolidated]
    finalise: Callable[[str], tuple[FinalConsolidation, Decided]]
