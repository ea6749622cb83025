"""Q-learning on an environment that is known as a table: its optimum is told beside what was learned."""

from hpcjobs.jobs._qlearning_course import Course
from hpcjobs.jobs._qlearning_result import finish, logged
from hpcjobs.jobs._qlearning_settings import Settings, learner_of, optimism_of
from hpcjobs.rl.learning import play
from hpcjobs.rl.planning import live, optimum
from hpcjobs.rl.position import begin, restore
from hpcjobs.rl.table import Table
from hpcjobs.runs.context import Context


def learn(settings: Settings, table: Table, context: Context) -> str:
    """Learn, and publish what was learned; returns its digest."""
    communicator = context.communicator
    learner = learner_of(settings, table.time_limit)
    best, states = optimum(table, settings.gamma), live(table)
    rounds, state = context.resume(settings.checkpoint_every, settings.checkpoint_seconds)
    if not state:
        state = begin(table, optimism_of(settings, table), settings.seed, settings.environments)
    at = restore(state, rounds, None if settings.algorithm == "online" else communicator)
    course = Course(context, settings, learner.steps_of_round, rounds)
    with context.timing.phase("learn"):
        while at.rounds < course.last:
            play(learner, table, at, communicator)
            if course.due(at.rounds):
                course.log(at.rounds, logged(learner, table, best, states, at), f"of {best.earned:.5g}")
            course.round_done(at.rounds, lambda: at.gather(communicator))
    context.save(at.rounds, at.gather(communicator))
    with context.timing.phase("finish"):
        content = finish(learner, table, best, states, at, course.steps)
    return context.publish_result(f"Q-learning on {table.name} in {course.steps} steps", content)
