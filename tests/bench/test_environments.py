"""What is installed, as far as no index is asked."""

from bench.environments import relaxed


def test_only_the_one_pin_is_relaxed() -> None:
    asked = ["certifi>=2099.1", "httpx[http2]>=0.28,<1", 'colorama; sys_platform == "nowhere"', 'redis>=5; extra == "redis"']
    assert relaxed(asked) == ["certifi", "httpx[http2]<1,>=0.28"]
