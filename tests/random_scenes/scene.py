"""One number gives one scene, always the same: a world, what happens in it, what is recorded, and the truth."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from .happened import ConntrackEvent, Happened
from .hooks import Hooks
from .network import Network
from .recording import Recording, choose_recordings
from .rule_choice import choose_rules, services
from .topology import World, build_world
from .traffic import CONVERSATIONS, Talk
from .travel import Notes
from .wires import Weather
from .writing import Written, write

FIRST_US = 300_000
"""The first conversation begins so long after the captures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All there is to know of a scene."""

    seed: int
    world: World
    weather: Weather
    happened: Happened
    recordings: list[Recording]
    written: Written


def make_scene(seed: int, folder: Path) -> Scene:
    """Make a scene and write its files into a folder."""
    random = Random(seed)
    world = build_world(random)
    choose_rules(world, random)
    weather = _weather(random)
    happened = _talk(world, weather, random)
    last_us = max((p.time_us for story in happened.stories for p in story.points), default=FIRST_US)
    _expire(happened, last_us, random)
    recordings = choose_recordings(world, random, last_us + random.choice([1_000, 400_000, 700_000]))
    written = write(recordings, happened, folder, random)
    return Scene(
        seed=seed, world=world, weather=weather, happened=happened, recordings=recordings, written=written
    )  # fmt: skip


def _weather(random: Random) -> Weather:
    return Weather(
        loss=random.choice([0, 0, 0, 0.02, 0.1]),
        reorders=random.random() < 0.2,
        delay_us=random.choice([20, 100, 1_000, 15_000]),
        segments=random.choice(["kept", "kept", "cut", "other"]),
        merges=random.random() < 0.25,
        offload=random.random() < 0.8,
    )


def _talk(world: World, weather: Weather, random: Random) -> Happened:
    """Clients everywhere call services anywhere."""
    notes = Notes(random=random)
    hooks = Hooks(happened=notes.happened, random=random)
    network = Network(world=world, random=random, weather=weather, notes=notes, hooks=hooks)
    clients = [space for host in world.hosts for space in host.spaces]
    offered = services(world, random)
    on_overlay = [space for space in clients if space.device("eth1") is not None and not space.is_root]
    by_interest = [
        [service for service in offered if service.port >= 1024],  # translated on the way
        [service for service in offered if service.tunnel],
        offered,
    ]
    start_us = float(FIRST_US)
    for number in range(1, random.choice([3, 4, 6, 9]) + 1):
        service = random.choice(next(some for some in random.sample(by_interest, 3) if some))
        others = [c for c in (on_overlay if service.overlay else clients) if c is not service.where]
        itself = service.where is not None and service.where.is_root and random.random() < 0.1
        client = service.where if itself else random.choice(others)
        start_us += random.choice([0, 20, 5_000, 80_000, 400_000])
        talk = Talk(
            network=network, random=random, number=number, client=client, service=service,
            zero_ids=random.random() < 0.25,
        )  # fmt: skip
        random.choice(CONVERSATIONS)(talk, start_us)
    return notes.happened


def _expire(happened: Happened, last_us: float, random: Random) -> None:
    """Some entries of conntrack end."""
    newest = {(event.space, event.entry.number): event for event in happened.conntrack}
    for event in newest.values():
        if random.random() < 0.2:
            time_us = last_us + random.uniform(50_000, 300_000)
            happened.conntrack.append(ConntrackEvent(
                space=event.space, time_us=time_us, what="destroyed", entry=event.entry, reply=event.reply,
                status=event.status,
            ))  # fmt: skip
