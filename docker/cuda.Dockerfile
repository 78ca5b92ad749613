# docker build -f docker/cuda.Dockerfile -t i2v-adapter:cuda .
# docker run --rm --gpus all -v "$PWD/runs:/runs" i2v-adapter:cuda run first-light --out /runs/first-light
# The wheels of torch bring CUDA's libraries; the host brings the driver (nvidia-container-toolkit).
FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache -c constraints.txt . \
    && rm -rf /source/*
WORKDIR /work
ENTRYPOINT ["i2v-eval"]
CMD ["--help"]
