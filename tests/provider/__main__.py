"""The mock provider as a process of its own. It says `ready http://127.0.0.1:PORT` on stdout, and ends with SIGTERM."""

import argparse
import asyncio
import signal

import uvloop

from tests.provider.script import Fault, Script
from tests.provider.server import PLANS_MAX, Provider


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--input-tokens", type=int, default=9)
    parser.add_argument("--output-tokens", type=int, default=12)
    parser.add_argument("--chunks", type=int, default=3, help="pieces of text in a stream")
    parser.add_argument("--text", default="Hej ", help="what each piece says")
    parser.add_argument("--delay-ms", type=int, default=0, help="before each piece of a body")
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--fault", type=Fault, choices=list(Fault), default=Fault.NONE)
    parser.add_argument("--after-bytes", type=int, default=0, help="for --fault drop-after-bytes and reset")
    parser.add_argument("--keeps", type=int, default=0, help="requests to remember")
    parser.add_argument("--plans", type=int, default=PLANS_MAX, help="prepared replies to keep; 0: make each anew")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    script = Script(
        input_tokens=arguments.input_tokens,
        output_tokens=arguments.output_tokens,
        chunks=arguments.chunks,
        text=arguments.text,
        delay_ms=arguments.delay_ms,
        status=arguments.status,
        fault=arguments.fault,
        after_bytes=arguments.after_bytes,
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Provider(script, port=arguments.port, keeps=arguments.keeps, plans_max=arguments.plans) as provider:
        print(f"ready {provider.url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(_serve(_arguments()))
