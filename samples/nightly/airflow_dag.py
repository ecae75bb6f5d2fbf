"""Airflow: verify the list every night, and fail the task where somebody has to look.

Exit codes 10 (out of time) and 11 (another run is at it) skip: the next night goes on with the same state.
"""

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    "listproof_nightly",
    schedule="30 1 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
):
    BashOperator(
        task_id="verify",
        # The last line of stdout is the summary, one JSON object: other tasks get it as this task's result.
        bash_command="nightly.sh /data/contacts.csv /data/out --max-duration 5h --json",
        skip_on_exit_code=[10, 11],
        do_xcom_push=True,
    )
