"""
Every documented error code of Binance USD-M futures, and what it means for an order that met it.

The list follows the exchange's error-code page and change log as of November 2026.
"""

from dataclasses import dataclass
from enum import StrEnum

from pregao.domain.protection import RefusalCause


class Kind(StrEnum):
    """What a code says about the request it answers."""

    REFUSED = "refused"  # provably not done; the same request will be refused again
    RETRY_LATER = "retry_later"  # provably not done this time
    OUTCOME_UNKNOWN = "outcome_unknown"  # may have been done: ask, never send again
    OPERATOR_NEEDED = "operator_needed"  # provably not done, and a person must act first
    ALREADY_SO = "already_so"  # the setting asked for stands already: as good as done


@dataclass(frozen=True, slots=True)
class Code:
    """One code's reading: its kind, its meaning in a phrase, and when the same may be asked again."""

    kind: Kind
    meaning: str
    retry_after_seconds: float = 1.0  # read for RETRY_LATER only


def _refused(meaning: str) -> Code:
    return Code(Kind.REFUSED, meaning)


def _later(meaning: str, seconds: float = 1.0) -> Code:
    return Code(Kind.RETRY_LATER, meaning, seconds)


def _unknown(meaning: str) -> Code:
    return Code(Kind.OUTCOME_UNKNOWN, meaning)


def _operator(meaning: str) -> Code:
    return Code(Kind.OPERATOR_NEEDED, meaning)


def _already(meaning: str) -> Code:
    return Code(Kind.ALREADY_SO, meaning)


CLOCK_CODES = frozenset({-1021, -4188, -5028})
"""Our clock and theirs disagree, or the request was too old: provably not done, and the offset is measured anew."""

THROTTLED = -1008
"""Reduce-only orders are exempt, says the exchange: an exit that is told it all the same is tried again at once."""

CAUSES: dict[str, RefusalCause] = {
    "-2021": RefusalCause.PRICE_PASSED,
    "-4142": RefusalCause.PRICE_PASSED,
    "-2022": RefusalCause.NOTHING_HELD,
    "-2024": RefusalCause.NOTHING_HELD,
    "-4509": RefusalCause.NOTHING_HELD,
    "-4130": RefusalCause.STANDS_ALREADY,
    "-2025": RefusalCause.TOO_MANY,
    "-4045": RefusalCause.TOO_MANY,
}
"""What a refusal of a protective order means for the position; any other code does not say."""

VENUE_FAULTS = frozenset({-1000, -1001, -1006, -1007, -1008, -1010, -1016})
"""The exchange itself is in trouble, whoever asks; what only this account or address may not is not among them."""

CODES: dict[int, Code] = {
    # 10xx: the exchange or the network
    -1000: _unknown("unknown error while processing"),
    -1001: _unknown("internal disconnection"),
    -1002: _operator("not authorized"),
    -1003: _later("too many requests from this address", 60.0),
    -1004: _operator("address is on the white list already"),
    -1005: _operator("address is not on the white list"),
    -1006: _unknown("unexpected answer inside the exchange"),
    -1007: _unknown("timeout inside the exchange"),
    -1008: _later("throttled by system protection", 1.0),
    -1010: _unknown("error message without text"),
    -1011: _operator("address may not use this route"),
    -1013: _refused("invalid message"),
    -1014: _refused("unsupported combination of order parameters"),
    -1015: _later("too many orders of this account", 10.0),
    -1016: _later("shutting down", 30.0),
    -1020: _refused("operation not supported"),
    -1021: _later("timestamp outside recvWindow", 0.5),
    -1022: _operator("signature not valid: the secret does not belong to the key"),
    -1023: _refused("start time after end time"),
    -1099: _operator("not found, or not authorized"),
    # 11xx: the request
    -1100: _refused("illegal characters"),
    -1101: _refused("too many parameters"),
    -1102: _refused("mandatory parameter missing or malformed"),
    -1103: _refused("unknown parameter"),
    -1104: _refused("not all parameters were read"),
    -1105: _refused("parameter empty"),
    -1106: _refused("parameter not wanted here"),
    -1108: _refused("invalid asset"),
    -1109: _operator("invalid account"),
    -1110: _refused("invalid symbol type"),
    -1111: _refused("too many decimals"),
    -1112: _refused("no orders on the book"),
    -1113: _refused("withdrawal must be negative"),
    -1114: _refused("timeInForce not wanted here"),
    -1115: _refused("invalid timeInForce"),
    -1116: _refused("invalid order type"),
    -1117: _refused("invalid side"),
    -1118: _refused("client order id empty"),
    -1119: _refused("original client order id empty"),
    -1120: _refused("invalid interval"),
    -1121: _refused("invalid symbol"),
    -1122: _refused("invalid symbol status"),
    -1125: _refused("listenKey does not exist"),
    -1126: _refused("asset not supported"),
    -1127: _refused("time span too long"),
    -1128: _refused("combination of optional parameters invalid"),
    -1130: _refused("parameter invalid"),
    -1134: _refused("strategy type too small"),
    -1135: _refused("invalid JSON"),
    -1136: _refused("invalid newOrderRespType"),
    # 20xx: processing
    -2007: _refused("callback rate invalid"),
    -2010: _refused("order rejected"),
    -2011: _refused("cancel rejected: order unknown or already done"),
    -2012: _unknown("batch cancel failed"),
    -2013: _refused("order does not exist"),
    -2014: _operator("key malformed"),
    -2015: _operator("key, address or permission invalid"),
    -2016: _refused("no trading window"),
    -2017: _operator("keys of this account are locked"),
    -2018: _refused("balance insufficient"),
    -2019: _refused("margin insufficient"),
    -2020: _refused("unable to fill"),
    -2021: _refused("would trigger immediately"),
    -2022: _refused("reduce-only refused: no position to reduce"),
    -2023: _operator("account is being liquidated"),
    -2024: _refused("position insufficient"),
    -2025: _refused("too many open orders"),
    -2026: _refused("order type cannot be reduce-only"),
    -2027: _refused("position above the maximum at this leverage"),
    -2028: _refused("leverage too small for the margin"),
    # 40xx, 41xx: filters and account
    -4000: _refused("invalid order status"),
    -4001: _refused("price below zero"),
    -4002: _refused("price above maximum"),
    -4003: _refused("quantity not above zero"),
    -4004: _refused("quantity below minimum"),
    -4005: _refused("quantity above maximum"),
    -4006: _refused("stop price below zero"),
    -4007: _refused("stop price above maximum"),
    -4008: _refused("tick below zero"),
    -4009: _refused("maximum price below minimum price"),
    -4010: _refused("maximum quantity below minimum quantity"),
    -4011: _refused("step below zero"),
    -4012: _refused("maximum number of orders below zero"),
    -4013: _refused("price below minimum"),
    -4014: _refused("price not on the tick"),
    -4015: _refused("client order id not valid"),
    -4016: _refused("price above the allowed distance"),
    -4017: _refused("upper multiplier below zero"),
    -4018: _refused("lower multiplier below zero"),
    -4019: _refused("composite scale too large"),
    -4020: _refused("target strategy invalid"),
    -4021: _refused("invalid depth limit"),
    -4022: _refused("market status not valid"),
    -4023: _refused("quantity not on the step"),
    -4024: _refused("price below the allowed distance"),
    -4025: _refused("multiplier decimals below zero"),
    -4026: _refused("commission invalid"),
    -4027: _operator("account type invalid"),
    -4028: _refused("leverage invalid"),
    -4029: _refused("tick precision invalid"),
    -4030: _refused("step precision invalid"),
    -4031: _refused("working type invalid"),
    -4032: _refused("too many orders in one cancel"),
    -4033: _refused("insurance account not found"),
    -4044: _refused("balance type invalid"),
    -4045: _refused("too many conditional orders"),
    -4046: _already("margin type stands already"),
    -4047: _refused("margin type cannot change with open orders"),
    -4048: _refused("margin type cannot change with a position"),
    -4049: _refused("margin can be added to isolated positions only"),
    -4050: _refused("cross balance insufficient"),
    -4051: _refused("isolated balance insufficient"),
    -4052: _already("automatic margin stands already"),
    -4053: _refused("automatic margin is for isolated positions only"),
    -4054: _refused("no position to add margin to"),
    -4055: _refused("amount must be positive"),
    -4056: _operator("key type invalid"),
    -4057: _operator("public key invalid"),
    -4058: _refused("maximum price and decimals too large"),
    -4059: _already("position mode stands already"),
    -4060: _refused("position side invalid"),
    -4061: _operator("position side does not fit the account's position mode"),
    -4062: _refused("reduceOnly improper"),
    -4063: _refused("options: request type invalid"),
    -4064: _refused("options: time frame invalid"),
    -4065: _refused("options: amount invalid"),
    -4066: _refused("options: event type invalid"),
    -4067: _refused("position mode cannot change with open orders"),
    -4068: _refused("position mode cannot change with a position"),
    -4069: _refused("options: premium invalid"),
    -4070: _refused("options: client id not valid"),
    -4071: _refused("options: direction invalid"),
    -4072: _refused("options: premium not updated"),
    -4073: _refused("options: premium below zero"),
    -4074: _refused("options: amount above the upper bound"),
    -4075: _refused("options: premium output zero"),
    -4076: _refused("options: premium too far from the last"),
    -4077: _refused("options: amount at its limit"),
    -4078: _unknown("options: internal error"),
    -4079: _refused("options: id invalid"),
    -4080: _refused("options: user not found"),
    -4081: _refused("options: not found"),
    -4082: _refused("number of batch orders invalid"),
    -4083: _unknown("batch orders failed"),
    -4084: _refused("method not available yet"),
    -4085: _refused("notional limit coefficient invalid"),
    -4086: _refused("price spread threshold invalid"),
    -4087: _operator("account may place reduce-only orders only"),
    -4088: _operator("account may not place orders"),
    -4104: _refused("contract type invalid"),
    -4109: _operator("futures account not active"),
    -4114: _refused("client transfer id not valid"),
    -4115: _refused("client transfer id duplicated"),
    -4116: _unknown("client order id is in use: an earlier send may have arrived"),
    -4117: _unknown("conditional order is triggering"),
    -4118: _refused("reduce-only refused: open orders cover the position"),
    -4120: _refused("order type belongs to the algo endpoint"),
    -4130: _refused("a closing order of this type and direction stands already"),
    -4131: _refused("best price outside the allowed distance"),
    -4135: _refused("activation price invalid"),
    -4136: _refused("order type cannot close a position"),
    -4137: _refused("quantity must be zero with closePosition"),
    -4138: _refused("reduceOnly must be true with closePosition"),
    -4139: _refused("order type cannot be market here"),
    -4140: _refused("symbol does not take new positions"),
    -4141: _refused("symbol is closed"),
    -4142: _refused("would trigger immediately"),
    -4144: _refused("pair invalid"),
    -4161: _refused("leverage cannot go down with an isolated position"),
    -4164: _refused("notional below minimum"),
    -4165: _refused("time interval invalid"),
    -4166: _refused("search window too long"),
    -4167: _refused("multi-assets mode impossible with isolated symbols"),
    -4168: _refused("isolated margin impossible in multi-assets mode"),
    -4169: _refused("multi-assets mode: margin insufficient"),
    -4170: _refused("multi-assets mode cannot change with open orders"),
    -4171: _already("multi-assets mode stands already"),
    -4172: _refused("multi-assets mode: negative balance"),
    -4183: _refused("price above the stop's allowed distance"),
    -4184: _refused("price below the stop's allowed distance"),
    -4188: _later("timestamp outside the matching engine's window", 0.5),
    -4192: _operator("cooling-off period chosen by the account's owner"),
    # 42xx: leverage and stop distances
    -4202: _operator("leverage above 20 needs identity verification"),
    -4203: _refused("leverage above 20 needs a month's membership"),
    -4205: _refused("leverage above 20 needs some days' membership"),
    -4206: _refused("leverage limited in this country"),
    -4208: _refused("leverage above 20 excluded by the position limit service"),
    -4209: _refused("leverage above the symbol's maximum"),
    -4210: _refused("stop price above the allowed distance"),
    -4211: _refused("stop price below the allowed distance"),
    # 44xx, 45xx: rules and compliance
    -4400: _refused("quantitative rules: reduce-only orders only, for now"),
    -4401: _refused("large position rule: reduce-only orders only"),
    -4402: _refused("symbol not available in this region"),
    -4403: _refused("leverage limited in this region"),
    -4425: _refused("lead portfolio cannot use multi-assets mode"),
    -4509: _refused("no position for an order that lives as long as one"),
    -4531: _operator("position mode must match the coin-margined side"),
    # 50xx: execution
    -5021: _refused("fill-or-kill could not be filled"),
    -5022: _refused("post-only would have taken"),
    -5024: _refused("symbol does not trade: no amendment"),
    -5025: _refused("limit orders only"),
    -5026: _refused("too many amendments"),
    -5027: _already("order stands so already"),
    -5028: _later("timestamp outside the matching engine's recvWindow", 0.5),
    -5029: _refused("amended notional below minimum"),
    -5037: _refused("price match invalid"),
    -5038: _refused("price match unsupported for this order type"),
    -5039: _refused("self-trade prevention mode invalid"),
    -5040: _refused("goodTillDate out of range"),
    -5041: _refused("no depth for this price match"),
}
