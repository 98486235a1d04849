"""A program that runs a stack with the recording functions, says where it is, and does as its first argument says.

`wait` waits for ever; `fork` first forks a process that holds copies of everything open, and says its number;
`hang` waits until a function hangs in mid-invocation.
"""

import json
import os
import signal
import sys

from redis import Redis

from local.regions import Handlers, TwoRegions

RECORDING = Handlers(*(f"tests.stack.handlers.recording:{name}" for name in Handlers._fields))
TABLE = {
    "TableName": "items",
    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
}


def main(way: str) -> None:
    """Run until killed."""
    with TwoRegions(tables=[TABLE], handlers=RECORDING) as stack:
        told = {"directory": str(stack.supervisor.directory), "forked": 0}
        if way == "fork":
            told["forked"] = os.fork()
            if told["forked"] == 0:
                signal.pause()
        if way == "hang":
            with Redis.from_url(stack.home.valkey.url) as server:
                server.rpush("once:1", "hang")
                item = {"k": {"S": "key"}, "v": {"N": "1"}}
                stack.home.client("dynamodb").put_item(TableName="items", Item=item)
                server.blpop("hanging")
        print(json.dumps(told), flush=True)
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
