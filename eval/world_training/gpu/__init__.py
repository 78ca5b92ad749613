"""The recipe for a GPU and a fixed number of minutes: everything on the device, large batches, CUDA
graphs.
"""
