# The app in a container, on the embedded checkpoints, without network once it runs.
#
#   docker build -t deepfake-detector .                              CPU
#   docker build -t deepfake-detector --build-arg DEVICE=cuda .      NVIDIA GPU, with docker run --gpus all
#   docker run --rm -p 7860:7860 deepfake-detector
ARG PYTHON=3.12
FROM python:${PYTHON}-slim

# cpu or cuda. PyPI's torch for Linux brings about 3 GB of CUDA; the builds without it are on PyTorch's own
# index only, as 2.11.0+cpu, which is why they are not in requirements.txt.
ARG DEVICE=cpu
ARG TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu

# what OpenCV and mediapipe link to and slim images lack
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libegl1 libgles2 libportaudio2 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY requirements.txt .
RUN if [ "$DEVICE" = cpu ]; then \
      grep -E '^(torch|torchvision|torchaudio)==' requirements.txt > torch.txt \
      && pip install --no-cache-dir --index-url "$TORCH_CPU_INDEX" -r torch.txt \
      && grep -vE '^(nvidia-|cuda-|triton)' requirements.txt > rest.txt \
      && pip install --no-cache-dir -r rest.txt; \
    else \
      pip install --no-cache-dir -r requirements.txt; \
    fi

COPY . .
RUN useradd --create-home app
USER app
ENV GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_ANALYTICS_ENABLED=False
EXPOSE 7860
CMD ["python", "app.py"]
