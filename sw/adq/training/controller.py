"""Controller: lowers bits and prunes channels during training.

Every layer starts at 16 bits. When the activation densities of an iteration have saturated, a
policy chooses fewer bits, and training continues: this is one iteration. With the paper's policy,

    k_l <- max(2, round(k_l * AD_l))    bits of the weights and the input of layer l
    C_l <- round(C_l * AD_l)            output channels of layer l, if pruning is enabled

Iterations repeat until nothing changes, or until the network costs what a budget allows. The first
and the last layer have bits of their own. A skip connection has the bits of the layer that it
joins. Layers that share channels are pruned together, by their mean density. There is no
re-training: the network of the last iteration is the result.

Source: Vasquez et al., "Activation Density based Mixed-Precision Quantization for Energy
Efficient Neural Networks", DATE 2021. The paper does not define saturation; see
``adq.training.saturation``.
"""

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from adq.training.config import ControllerConfig
from adq.training.policies.activation_density import scaled
from adq.training.policies.budget import Budget
from adq.training.policies.limit import TOLERANCE, Limit
from adq.training.policies.policy import Observation, PolicyError
from adq.training.policies.table import policy_of
from adq.training.saturation import has_saturated

if TYPE_CHECKING:
    import torch

    from adq.quantization.prepared import Prepared
    from adq.quantization.prepared_network import Reduce
    from adq.training.recording.measurements import Measurements

__all__ = ["Controller", "Decision", "scaled", "sum_over_processes"]

_Shared = TypeVar("_Shared")


class Decision(enum.Enum):
    """Decision of the controller after an epoch."""

    CONTINUE = "continue"
    """Nothing changes: a density has not saturated, or this is the last iteration."""
    LOWER = "lower"
    """An iteration has ended; bits or channels have changed."""
    RETURN = "return"
    """An iteration has lost too much accuracy; bits are those of the iteration before, for good."""
    CONVERGED = "converged"
    """Densities have saturated without a change; the current iteration is the last."""


class Controller:
    """Sets the bits and channels of every layer at the end of each iteration.

    Attributes
    ----------
    iteration
        Current iteration, counted from 1.
    converged
        True if the current iteration is the last: nothing is left to change, or the network costs
        what the budget allows.

    Parameters
    ----------
    prepared
        Network at the bits of the first iteration. Its first and last layer get their bits here.
    config
        Policy, saturation criterion and limits.
    measurements
        Costs on a tile and sensitivities, for a policy or budget that needs them.
    seed
        Seed of a policy that chooses at random.

    Raises
    ------
    PolicyError
        If the policy or the budget needs measurements, and there are none.

    """

    def __init__(
        self,
        prepared: "Prepared",
        config: ControllerConfig | None = None,
        *,
        measurements: "Measurements | None" = None,
        seed: int = 0,
    ):
        self.prepared = prepared
        self.config = config or ControllerConfig()
        self.policy = policy_of(self.config)
        self.measurements = measurements
        self.seed = seed
        self.iteration = 1
        self.converged = False
        self._window: list[dict[str, float]] = []
        self._accuracies: list[float] = []
        self._first_accuracy: float | None = None
        self._previous_bits: dict[str, int] = {}
        budget = self.config.cost_budget
        needed = self.policy.needs_costs or self.policy.needs_losses
        if measurements is None and (needed or (budget is not None and budget.needs_tile)):
            what = f"policy {self.config.policy}" if needed else f"budget {self.config.budget}"
            raise PolicyError(
                f"{what} needs a tile and sample images: give "
                "measurements=adq.Measurements(images, labels, tile=...)"
            )
        self._set_ends()

    def step(
        self,
        densities: Mapping[str, float] | None = None,
        *,
        remaining_epochs: int | None = None,
        optimizer: "torch.optim.Optimizer | None" = None,
        accuracy: float | None = None,
        reduce: "Reduce | None" = None,
    ) -> Decision:
        """Evaluate an epoch, and change the network if an iteration has ended.

        After ``Decision.LOWER`` with pruning, parameters have other shapes: a wrapper that knows
        them, such as DistributedDataParallel or a compiled model, must be made anew.

        Parameters
        ----------
        densities
            Activation density of each layer in the epoch. Default: those counted by the network
            since the last step.
        remaining_epochs
            Number of epochs left. With fewer than ``settling_epochs``, nothing changes. With
            exactly as many, a budget that is not met yet is met now.
        optimizer
            Optimizer whose state is pruned with the channels. If omitted, the caller must create a
            new optimizer after pruning.
        accuracy
            Share of the training images that were classified correctly in the epoch. Without it,
            ``climb`` and ``accuracy_loss`` are not looked at.
        reduce
            Sums a tensor over processes. Default: ``torch.distributed``, if it is initialized.

        Raises
        ------
        PolicyError
            If there is no density, one is not a number from 0 to 1, or the budget cannot be met.

        """
        if densities is None:
            densities = self.prepared.densities(reduce or sum_over_processes())
        self._check(densities, accuracy)
        self._window = [*self._window, dict(densities)][-self.config.window :]
        if accuracy is not None:
            self._accuracies = [*self._accuracies, accuracy][-self.config.window :]
        if self.is_last or (
            remaining_epochs is not None and remaining_epochs < self.config.settling_epochs
        ):
            return Decision.CONTINUE
        # The last chance to meet a budget.
        deadline = self.config.cost_budget is not None and (
            remaining_epochs == self.config.settling_epochs
        )
        if not deadline and not has_saturated(self._window, self._accuracies, self.config):
            return Decision.CONTINUE
        if self._lost_too_much():
            self.prepared.set_bits(self._previous_bits)
            self.converged = True
            self._begin_iteration()
            return Decision.RETURN
        return self._lower(densities, optimizer, deadline)

    @property
    def is_last(self) -> bool:
        """Return whether no other iteration follows the current one."""
        return self.converged or self.iteration == self.config.max_iterations

    def check_budget(self) -> None:
        """Refuse a budget that the least bits cannot meet, before anything is trained.

        Costs of a network that is not trained yet are an estimate, which gets a quarter as margin.

        Raises
        ------
        PolicyError
            If the budget cannot be met.

        """
        budget = self.config.cost_budget
        if budget is not None:
            limit = self._limit(self._units(), budget)
            least = limit.cost(dict.fromkeys(limit.costs, self.config.minimum_bits))
            if least > 1.25 * limit.target:
                raise self._unreachable(budget, limit)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the controller, without the network, as plain numbers and strings."""
        return {
            "iteration": self.iteration,
            "converged": self.converged,
            "window": [dict(densities) for densities in self._window],
            "accuracies": list(self._accuracies),
            "first_accuracy": self._first_accuracy,
            "previous_bits": dict(self._previous_bits),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that ``state_dict`` returned."""
        self.iteration = state["iteration"]
        self.converged = state["converged"]
        self._window = [dict(densities) for densities in state["window"]]
        self._accuracies = list(state.get("accuracies", ()))
        self._first_accuracy = state.get("first_accuracy")
        self._previous_bits = dict(state.get("previous_bits", {}))

    def _set_ends(self) -> None:
        """Give the first and the last layer their bits, and a uniform network its own."""
        layers = self.prepared.layers
        bits = {}
        if self.config.policy == "uniform" and self.config.uniform_start == "first-epoch":
            bits = dict.fromkeys(layers, self.config.uniform_bits)
        bits |= {layers[0]: self.config.first_bits, layers[-1]: self.config.last_bits}
        present = self.prepared.bits
        changed = {name: each for name, each in bits.items() if present[name] != each}
        if changed and self.iteration == 1:
            self.prepared.set_bits({**present, **changed})

    def _check(self, densities: Mapping[str, float], accuracy: float | None) -> None:
        if not densities:
            raise PolicyError(
                "there is no activation density: run training batches through the network, in "
                "training mode, between two steps of the controller; a network without a ReLU has "
                "none"
            )
        for name, density in densities.items():
            if not 0 <= density <= 1:
                raise PolicyError(
                    f"the density of {name} is {density}: it must be 0 to 1; check that the loss "
                    "is finite"
                )
        if self._window and self._window[-1].keys() != densities.keys():
            raise PolicyError(
                f"densities are of {', '.join(densities)}, and before of "
                f"{', '.join(self._window[-1])}: give those of the same layers in every step"
            )
        if accuracy is not None and not 0 <= accuracy <= 1:
            raise PolicyError(f"the accuracy is {accuracy}: it must be 0 to 1")

    def _lost_too_much(self) -> bool:
        """Return whether this iteration lost more accuracy, against the first, than allowed."""
        if not self._accuracies:
            return False
        now = sum(self._accuracies) / len(self._accuracies)
        if self._first_accuracy is None:
            self._first_accuracy = now
        return bool(self._previous_bits and now < self._first_accuracy - self.config.accuracy_loss)

    def _lower(
        self,
        densities: Mapping[str, float],
        optimizer: "torch.optim.Optimizer | None",
        deadline: bool,
    ) -> Decision:
        before = dict(self.prepared.bits)
        channels = self._channels(densities)
        self.prepared.prune(channels, optimizer)
        bits, met = _agreed(self._bits(densities, deadline))
        if bits == before and not channels:
            self.converged = True
            return Decision.CONVERGED
        self.prepared.set_bits(bits)
        self._previous_bits = before
        self.converged = met
        self._begin_iteration()
        return Decision.LOWER

    def _begin_iteration(self) -> None:
        self.iteration += 1
        self._window, self._accuracies = [], []

    def _bits(self, densities: Mapping[str, float], deadline: bool) -> tuple[dict[str, int], bool]:
        """Return the bits of every layer, and whether the budget is met by them."""
        bits = dict(self.prepared.bits)
        units = self._units()
        budget = self.config.cost_budget
        needs_costs = budget is not None or self.policy.needs_costs
        limit = self._limit(units, budget) if needs_costs else None
        losses = None
        if self.policy.needs_losses and self.measurements is not None:
            losses = self.measurements.loss_increases(self.prepared, units)
        now = Observation(
            bits={name: bits[name] for name in units},
            densities=densities,
            minimum_bits=self.config.minimum_bits,
            seed=self.seed,
            limit=limit,
            losses=losses,
        )
        chosen, met = self.policy.bits(now), False
        if budget is not None and limit is not None:
            last = deadline or self.iteration + 1 == self.config.max_iterations
            if last or limit.cost(chosen) <= limit.target * (1 + TOLERANCE):
                chosen = limit.nearest(
                    self.policy.path(now),
                    minimum=self.config.minimum_bits,
                    maximum=self.config.initial_bits,
                )
                met = True
                if limit.cost(chosen) > limit.target * (1 + TOLERANCE):
                    raise self._unreachable(budget, limit)
        for name, members in units.items():
            bits |= dict.fromkeys(members, chosen[name])
        for layer, joined in self.prepared.followers.items():
            bits[layer] = bits[joined]
        return bits, met

    def _limit(self, units: Mapping[str, tuple[str, ...]], budget: Budget | None) -> Limit:
        from adq.training.recording.measurements import limit_of  # which imports PyTorch

        return limit_of(self.prepared, units, budget, self.measurements)

    def _unreachable(self, budget: Budget, limit: Limit) -> PolicyError:
        least = limit.cost(dict.fromkeys(limit.costs, self.config.minimum_bits))
        return PolicyError(
            f"the budget of {budget.shown(limit.target)} cannot be met: at "
            f"{self.config.minimum_bits} bits the network takes {budget.shown(least)}, of which "
            f"{budget.shown(limit.fixed)} are the first and the last layer's: raise the budget, or "
            "lower first_bits and last_bits"
        )

    def _units(self) -> dict[str, tuple[str, ...]]:
        """Return the layers whose bits the policy chooses, each with those that take its bits."""
        followers = self.prepared.followers
        units: dict[str, tuple[str, ...]] = {
            name: (name,) for name in self.prepared.layers[1:-1] if name not in followers
        }
        for layer, joined in followers.items():
            while joined in followers:
                joined = followers[joined]
            if joined in units:
                units[joined] += (layer,)
        return units

    def _channels(self, densities: Mapping[str, float]) -> dict[str, int]:
        """Return C_l <- round(C_l * AD_l) of the layers to prune, one layer per shared group."""
        if not self.config.pruning or self.iteration > self.config.pruning_iterations:
            return {}
        channels = {}
        for group in self.prepared.groups:
            watched = [densities[layer] for layer in group if layer in densities]
            if not watched:
                continue
            now = self.prepared.channels[group[0]]
            kept = max(sum(watched) / len(watched), self.config.minimum_kept)
            wanted = scaled(now, kept, self.config.minimum_channels)
            if wanted < now:
                channels[group[0]] = wanted
        return channels


def sum_over_processes() -> "Reduce | None":
    """Return a sum over the processes of ``torch.distributed``, None where there is one alone."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None

    def total(value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        torch.distributed.all_reduce(value)
        return value

    return total


def _agreed(decision: _Shared) -> _Shared:
    """Return the first process's decision: batch norm's statistics differ between processes."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return decision
    shared = [decision]
    torch.distributed.broadcast_object_list(shared)
    return shared[0]
