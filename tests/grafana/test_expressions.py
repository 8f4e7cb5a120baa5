"""Expressions that must tell two things apart, over made-up series, as promtool computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.grafana.dashboards import dashboards, expressions, filled
from tests.prometheus.test_rules import printed_by
from tests.support import programs

if TYPE_CHECKING:
    from pathlib import Path

DEPLOYMENT, DRAIN = (each["expr"] for each in dashboards()["jobd-overview"]["annotations"]["list"])
A, B = 'job="jobd",instance="a"', 'job="jobd",instance="b"'
CHOSEN = {"queue": ".+", "instance": ".+", "__rate_interval": "5m", "__range": "1h"}


def of(place: str) -> str:
    """The expression of a panel, with everything chosen."""
    (found,) = [each for each in expressions() if each.place == place]
    return filled(found.text, **CHOSEN)


@pytest.mark.parametrize(
    ("expression", "series", "minute", "expected"),
    [
        pytest.param(
            DEPLOYMENT,
            {f'jobd_build_info{{version="1",{A}}}': "1x120", f'jobd_build_info{{version="2",{A}}}': "_x121 1x60"},
            123,
            {'{version="2"}': 1},
            id="a new version begins",
        ),
        pytest.param(
            DEPLOYMENT,
            {f'jobd_build_info{{version="1",{A}}}': "1x120", f'jobd_build_info{{version="2",{A}}}': "_x121 1x60"},
            140,
            {},
            id="it has run for a while",
        ),
        pytest.param(
            DEPLOYMENT,
            {f'jobd_build_info{{version="1",{A}}}': "1x60 _x20 1x60"},
            82,
            {},
            id="a daemon was away and comes back",
        ),
        pytest.param(
            DRAIN,
            {f"jobd_draining{{{A}}}": "0x10 1x10", f"jobd_draining{{{B}}}": "0x20"},
            15,
            {'{instance="a"}': 1},
            id="one of two drains",
        ),
        pytest.param(
            of("jobd-overview: Error budget left A"),
            {
                f'jobd_job_objective_total{{queue="good",verdict="good",{A}}}': "0+200x600",
                f'jobd_job_objective_total{{queue="half",verdict="good",{A}}}': "0+199x600",
                f'jobd_job_objective_total{{queue="half",verdict="bad",{A}}}': "0+1x600",
                f'jobd_job_objective_total{{queue="spent",verdict="good",{A}}}': "0+1x600",
                f'jobd_job_objective_total{{queue="spent",verdict="bad",{A}}}': "0+1x600",
                f'jobd_job_objective_total{{queue="idle",verdict="good",{A}}}': "0x600",
            },
            500,
            {'{queue="good"}': 1, '{queue="half"}': 0.5, '{queue="spent"}': -1},
            id="budgets: whole, half, spent, and no jobs",
        ),
        pytest.param(
            of("jobd-overview: Oldest due job A"),
            {
                f'jobd_queue_oldest_due_age_seconds{{queue="mail",{A}}}': "70x20",
                f'jobd_queue_oldest_due_age_seconds{{queue="held",{A}}}': "9000x20",
                f'jobd_queue_paused{{queue="mail",{A}}}': "0x20",
                f'jobd_queue_paused{{queue="held",{A}}}': "1x20",
            },
            10,
            {"{}": 70},
            id="a paused queue is not late",
        ),
        pytest.param(
            of("jobd-imports: Time until the queue is empty A"),
            {
                f'jobd_queue_jobs{{queue="mail",status="pending",{A}}}': "120x30",
                f'jobd_queue_jobs{{queue="mail",status="pending",{B}}}': "120x30",
                f'jobd_job_claims_total{{queue="mail",{A}}}': "0+30x30",
                f'jobd_job_claims_total{{queue="mail",{B}}}': "0+30x30",
            },
            20,
            {'{queue="mail"}': 120},
            id="two daemons claim sixty jobs a minute of 120",
        ),
    ],
)
def test_expressions_tell_apart_what_they_are_for(
    tmp_path: Path, expression: str, series: dict[str, str], minute: int, expected: dict[str, float]
) -> None:
    promtool = programs.need("prometheus").with_name("promtool")
    samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
    unit = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}],
    }
    (tmp_path / "unit.yml").write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [unit]}))
    printed_by(promtool, "test", "rules", tmp_path / "unit.yml")
