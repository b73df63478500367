"""Routes of claims and leases."""

from headgate.api.routing import Router
from headgate.schema.claims import ClaimRequest, ClaimResponse, LeaseRenewal, LeaseRenewalResponse, LeaseReturn
from headgate.services import claims, leases
from headgate.services.scope import Scope

router = Router("/work_pools/{work_pool_name}", tag="Claims")


@router.post("/claim")
async def claim(scope: Scope, work_pool_name: str, body: ClaimRequest) -> ClaimResponse:
    """Claim due runs; held open for up to `wait_seconds` until there is work."""
    return await claims.claim(scope, work_pool_name, body)


@router.post("/leases/renew")
async def renew_leases(scope: Scope, work_pool_name: str, body: LeaseRenewal) -> LeaseRenewalResponse:
    """A worker's heartbeat: it is alive, and so are the runs that it holds."""
    return await leases.renew(scope, work_pool_name, body)


@router.post("/leases/return", status=204)
async def return_leases(scope: Scope, work_pool_name: str, body: LeaseReturn) -> None:
    """Give back claimed runs that were not started."""
    await leases.give_back(scope, body)
