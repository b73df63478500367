"""HTTP from an event loop, on aiohttp (measured: a third of the CPU per call of the other candidates)."""

import aiohttp

from headgate.client.transport import Request, Response, unreachable

IDLE_SECONDS = 4.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn closes it, so that no call meets that end.

Workers' heartbeats come every 5 s, so they would; and a POST that meets it fails, for aiohttp does not send it again.
"""


class AiohttpTransport:
    """One pooled session, opened at the first call."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def send_async(self, request: Request) -> Response:
        """Send over the pool."""
        if self._session is None:
            connector = aiohttp.TCPConnector(keepalive_timeout=IDLE_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=True, auto_decompress=True)
        try:
            async with self._session.request(
                request.method,
                self._url + request.target,
                data=request.body,
                headers=request.headers,
                timeout=aiohttp.ClientTimeout(total=request.timeout),
                allow_redirects=False,  # a POST would arrive as a GET
            ) as answer:
                body = await answer.read()
                return Response(answer.status, body, {name.lower(): value for name, value in answer.headers.items()})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(self._url, error) from error

    async def close_async(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None
