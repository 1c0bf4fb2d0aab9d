"""Run many experiments: which cells are done, workers on dask, notebooks by papermill."""
