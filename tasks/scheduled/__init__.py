"""What schedules do: one module a task, each `async def run(context) -> Told`, and the Celery task that runs them once (`firing`)."""
