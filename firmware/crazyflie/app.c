/* The app task has nothing to do: the stabiliser calls the controller. */
void appMain(void);

void appMain(void) {}
