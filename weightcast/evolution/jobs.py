STAGES = "weightcast.evolution.stages"
JOBS = {}
