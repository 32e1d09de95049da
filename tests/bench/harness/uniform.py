"""Makes a log of N event types, all equally frequent, each with members of its own.

    uniform.py TYPES MIB FILE.gz

For the questions what many types cost and how much memory they take: the same bytes per line for every N, and
the worst order there is, each line of a random type. The same arguments make the same bytes.
"""

import random
import sys
import zlib

WORDS = (
    "amber basin cedar delta ember fjord grove haven islet jetty knoll larch mesa north ocean piers quartz ridge shore "
    "tidal upper vista willow xenon yonder zephyr anchor bridge canyon dune estuary forest glacier harbour inlet"
).split()


class Type:
    def __init__(self, dice, number):
        self.name = f"{dice.choice(WORDS)} {dice.choice(WORDS)} {number}"
        self.members = [f"{dice.choice(WORDS)}_{kind}" for kind in dice.choices(["id", "at", "name", "price"], k=6)]

    def line(self, dice, at):
        clock = f"{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}.{dice.randrange(1000):03}"
        time = f"2025-06-{at // 86400 % 28 + 1:02}T{clock}Z"
        own = ",".join(f'"{number}_{name}":{value(dice, name, time)}' for number, name in enumerate(self.members))
        return (
            f'{{"id":"{dice.getrandbits(96):024x}","received":"{time}","user":{{"id":{dice.getrandbits(40)},"plan":"'
            f'{dice.choice(WORDS)}","beta":{dice.choice(("true", "false"))}}},"event":"{self.name}","device":{{"os":"'
            f'{dice.choice(WORDS)}","version":"{dice.randrange(20)}.{dice.randrange(10)}","screen":[{dice.randrange(4000)},'
            f'{dice.randrange(2000)}]}},"page":"https://example.com/{dice.choice(WORDS)}/{dice.choice(WORDS)}","properties":'
            f"{{{own}}}}}\n"
        )


def value(dice, name, time):
    if name.endswith("id"):
        return dice.getrandbits(62)
    if name.endswith("at"):
        return f'"{time}"'
    if name.endswith("price"):
        return f"{dice.random() * 300:.2f}"
    return f'"{dice.choice(WORDS)} {dice.choice(WORDS)} é {dice.choice(WORDS)}"'


def main(types, mib, path):
    dice = random.Random(20250601)
    kinds = [Type(dice, number) for number in range(int(types))]
    compress = zlib.compressobj(6, zlib.DEFLATED, 31)
    left, at = int(mib) << 20, 0
    with open(path, "wb") as file:
        while left > 0:
            lines = "".join(dice.choice(kinds).line(dice, at + n // 40) for n in range(2000)).encode()
            at += 50
            left -= len(lines)
            file.write(compress.compress(lines))
        file.write(compress.flush())


if __name__ == "__main__":
    main(*sys.argv[1:])
