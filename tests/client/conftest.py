import threading

import pytest

from tests.client.servers import Clock, Lossy, make_server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(clock):
    server = make_server(clock).start()
    yield server
    assert server.stop() == 0


@pytest.fixture
def lossy(server):
    with Lossy(server) as lossy:
        thread = threading.Thread(target=lossy.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield lossy
        lossy.is_over.set()
        lossy.shutdown()
        thread.join()
