import pytest


@pytest.fixture(scope="session")
def vgg():
    from impasto.losses import LossNetwork

    return LossNetwork()
