# docker build -f docker/cpu.Dockerfile -t i2v-adapter .
# docker run --rm -v "$PWD/runs:/runs" i2v-adapter run first-light --out /runs/first-light
FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --torch-backend cpu . \
    && rm -rf /source/*
WORKDIR /work
ENTRYPOINT ["i2v-eval"]
CMD ["--help"]
