"""Many experiments: which cells are done, workers on dask, notebooks that papermill executes."""
